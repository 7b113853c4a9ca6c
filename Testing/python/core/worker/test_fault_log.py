"""An error in the worker leaves its traceback in the worker's log, without patient data from the message."""

from __future__ import annotations

from REACTKDLib.core.worker.client import WorkerClient
from support.small_cases import small_case
from support.worker_runs import grade_job, save_small_model, wait


def test_a_fault_in_the_worker_is_logged(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("REACTKD_LOG_DIR", str(tmp_path / "logs"))
    client = WorkerClient(runner="support.worker_runs:Faulty")
    try:
        failed = wait(client, client.submit(grade_job(client, small_case(), save_small_model(tmp_path))))
    finally:
        client.close()
    assert failed.code == "unexpected" and failed.message.endswith(f"{tmp_path / 'logs' / 'worker.log'}.")
    text = (tmp_path / "logs" / "worker.log").read_text(encoding="utf-8")
    assert "RuntimeError: cannot encode" in text and "in encode" in text and "worker/handler.py" in text
    assert "Canary" not in text and str(tmp_path) not in text
