"""Grading in a separate process, so that the calling application stays responsive: see `client.WorkerClient`.

In an application the main thread holds Python's interpreter lock while it waits for the user, so other threads starve
and long calls block the windows. A process has its own lock, and can be killed.
"""
