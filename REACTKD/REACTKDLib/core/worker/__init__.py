"""Grading in a process of its own, so that the program that asks for it stays free: see `client.WorkerClient`.

In an application the main thread holds Python's lock while it waits for the user, so threads beside it starve and long
calls block its windows. A process has a lock of its own, and can be ended.
"""
