"""A whole study: its parts in order, each run once, then the tables and figures of all finished runs."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path

import torch

from REACTKDLib.core.errors import FileMissing, UsageError
from REACTKDLib.core.job_engines import HERE, Engine
from REACTKDLib.core.job_pool import JobPool
from REACTKDLib.core.progress import OnProgress, no_progress
from REACTKDLib.core.shard import WHOLE, Shard
from REACTKDLib.core.text import plural
from REACTKDLib.core.writing.atomic import write_text
from REACTKDTrainLib.progress import WeightedProgress
from REACTKDTrainLib.results.tables import as_csv, markdown
from REACTKDTrainLib.study.external import ExternalStudy
from REACTKDTrainLib.study.hospital import HospitalStudy
from REACTKDTrainLib.study.hospital_nodes import HospitalNodes
from REACTKDTrainLib.study.nodes import NodeStudy
from REACTKDTrainLib.study.presets import ARMS, BIOLOGY, MAP_ARMS, Arm, NodeConfig, Preset
from REACTKDTrainLib.study.results import (
    ablation_table,
    external_table,
    method_table,
    named_table,
    node_table,
    teacher_table,
)
from REACTKDTrainLib.study.runs import Run, RunFiles
from REACTKDTrainLib.study.tables import tables_of
from REACTKDTrainLib.study.volumes import VolumeStudy
from REACTKDTrainLib.training.record import revision, versions

#: in the order of execution, the most important first
PARTS = ("nodes", "methods", "seeds", "ablation", "external", "map")
#: relative cost of each part, and the share of preparing cases in it, for progress
COST = {"nodes": 40.0, "methods": 12.0, "seeds": 6.0, "ablation": 8.0, "external": 2.0, "map": 10.0}
#: the same if the hospital size uses node vectors
COST_ON_NODES = {"nodes": 40.0, "methods": 2.5, "seeds": 1.0, "ablation": 1.5, "external": 3.5, "map": 12.0}
PREPARING = 0.3
#: for each part, its groups of runs, executed one after the other, because later ones need results of earlier ones
KINDS = {
    "nodes": ("choices", "nodes", "node teachers"),
    "map": ("map choices", "map"),
    "methods": ("teachers", "methods"),
    "seeds": ("teachers", "seeds"),
    "ablation": ("teachers", "ablation"),
    "external": ("teachers", "external"),
}
FORMAT = "reactkd-study/1"
ELSEWHERE_S = 1.0  # between two checks for runs of another process


@dataclass(eq=False)
class Study:
    """cohort, external: as in training, '' for the phantoms of the preset. cache: shared by studies. engine: prepares
    cases and executes runs. ready: see `NodeStudy`. shard: the runs to begin with. grades: the meaning of the cohorts'
    grades, see `open_cohort`. arms: names of the arms whose runs on node vectors are executed, () for all; the tables
    include existing results of every arm. Several processes with the same output folder divide the runs, and the others
    take over the run of one that dies. Raises: UsageError for an unknown arm.
    """

    preset: Preset
    output: Path
    cache: Path | None = None
    cohort: str = ""
    external: str = ""
    device: torch.device = torch.device("cpu")
    engine: Engine = HERE
    ready: bool = False
    shard: Shard = WHOLE
    grades: str = ""
    arms: tuple[str, ...] = ()
    _known: dict[str, dict[str, Run]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self.output = Path(self.output)
        if self.output.is_file():
            raise UsageError("The output is a file; give a folder.")
        known = list(dict.fromkeys(arm.name for arm in (*ARMS, *MAP_ARMS)))
        for arm in self.arms:
            if arm not in known:
                raise UsageError(f"There is no arm {arm!r}; choose some of {', '.join(known)}.")
        self.cache = Path(self.cache) if self.cache else self.output / "cache"
        self.files = RunFiles(self.output / "runs")

    @cached_property
    def hospital(self) -> HospitalStudy:
        """The experiments at hospital size, on volumes or on node vectors."""
        size = self.preset.training.data.size
        cohort = self.cohort or f"phantom:hospital?cases={self.preset.hospital}&size={size}&biology={BIOLOGY}"
        level = VolumeStudy if self.preset.hospital_nodes is None else HospitalNodes
        return level(self.preset, cohort, self.output, self.cache, self.device, self.engine, self.grades)

    @cached_property
    def outside(self) -> ExternalStudy:
        """The experiments on the external cohort."""
        size = self.preset.training.data.size
        usual = f"phantom:external?cases={self.preset.external}&size={size}&whole_field=1&biology={BIOLOGY}"
        spec = self.external or usual
        return ExternalStudy(self.hospital, spec)

    @cached_property
    def nodes(self) -> list[NodeStudy]:
        """The experiments on node vectors, always with phantoms: one for each arm."""
        return self._levels(self.preset.nodes, ARMS)

    @cached_property
    def around(self) -> list[NodeStudy]:
        """The additional arms of the map."""
        return self._levels(self.preset.around, MAP_ARMS)

    def _levels(self, config: NodeConfig, arms: Sequence[Arm]) -> list[NodeStudy]:
        size = "tiny" if self.preset.meaningless else "full"
        return [NodeStudy(config, self.cache / "nodes", size, self.ready, self.engine, arm) for arm in arms]

    def run(self, parts: Sequence[str] = PARTS, on_progress: OnProgress = no_progress) -> dict:
        """Execute the missing runs of these parts, then write everything.

        Raises: ReactkdError; UsageError for an unknown part; WorkerLost.
        """
        for part in parts:
            if part not in PARTS:
                raise UsageError(f"There is no part {part!r}; choose some of {', '.join(PARTS)}.")
        results = None
        costs = COST if self.preset.hospital_nodes is None else COST_ON_NODES
        progress = WeightedProgress({part: costs[part] for part in parts}, on_progress)
        own = replace(self, engine=HERE)
        with JobPool(own.make, self.engine) as pool:
            for part in (p for p in PARTS if p in parts):
                self._do_part(part, pool, progress.part(part))
                results = self._write_tables()
        return self._draw(self._write_tables() if results is None else results)

    # -- parts

    def _asked(self, levels: Sequence[NodeStudy]) -> list[NodeStudy]:
        return [level for level in levels if not self.arms or level.arm.name in self.arms]

    def _do_part(self, part: str, pool: JobPool[tuple[str, str], bool], on_progress: OnProgress) -> None:
        one = self.outside if part == "external" else self.hospital
        levels = {"nodes": lambda: self._asked(self.nodes), "map": lambda: self._asked(self.around)}.get(
            part, lambda: [one]
        )()
        preparing = WeightedProgress({str(n): 1.0 for n in range(len(levels))}, on_progress)
        for n, level in enumerate(levels):
            own = preparing.part(str(n))
            level.prepare(lambda f, text, own=own: own(PREPARING * f, f"{part}, preparing case {text}"))
        costs = {kind: sum(run.cost for run in self.runs_of(kind)) for kind in KINDS[part]}
        runs = WeightedProgress(costs, lambda f, text: on_progress(PREPARING + (1 - PREPARING) * f, f"{part}, {text}"))
        for kind in KINDS[part]:
            self._do(kind, pool, runs.part(kind))

    def runs_of(self, kind: str) -> list[Run]:
        """Return the runs of one of `KINDS`. Those of the kind 'nodes' are known once the choices are made."""
        preset, asked = self.preset, self._asked
        return {
            "choices": lambda: [run for level in asked(self.nodes) for run in level.choice_runs()],
            "nodes": lambda: [run for level in asked(self.nodes) for run in level.runs(self.files)],
            "node teachers": lambda: [run for level in asked(self.nodes) for run in level.teacher_runs()],
            "map choices": lambda: [run for level in asked(self.around) for run in level.choice_runs()],
            "map": lambda: [run for level in asked(self.around) for run in level.runs(self.files)],
            "teachers": lambda: self.hospital.teacher_runs(),
            "methods": lambda: self.hospital.method_runs(preset.methods, [0]),
            "seeds": lambda: self.hospital.method_runs(preset.headline, range(1, preset.seeds)),
            "ablation": lambda: self.hospital.ablation_runs(),
            "external": lambda: self.outside.runs(preset.headline, preset.doses),
        }[kind]()

    def make(self, named: tuple[str, str]) -> bool:
        """Execute and store one run, given its kind and key, which is all that a worker receives.

        Returns False, without executing it, if another process is executing it.
        """
        kind, key = named
        if kind not in self._known:
            self._known[kind] = {run.key: run for run in self.runs_of(kind)}
        run = self._known[kind][key]
        with self.files.claimed(run) as mine:
            if mine and not self.files.done(run):  # another process with the same folder may have finished it
                self.files.put(run, run.make())
        return mine

    def _do(self, kind: str, pool: JobPool[tuple[str, str], bool], on_progress: OnProgress = no_progress) -> None:
        runs = {run.key: run for run in self.runs_of(kind)}
        waiting = self.shard.first([key for key, run in runs.items() if not self.files.done(run)])
        whole, done = sum(run.cost for run in runs.values()), len(runs) - len(waiting)
        left = sum(runs[key].cost for key in waiting)
        on_progress(1 - left / max(whole, 1e-9), f"{kind}: {done} of {len(runs)} runs are there already")
        while waiting:
            elsewhere = []
            for (_, key), mine in pool.results([(kind, key) for key in waiting]):
                if not mine:
                    elsewhere.append(key)
                    continue
                left, done = left - runs[key].cost, done + 1
                on_progress(1 - left / whole, f"{runs[key].title} ({done} of {len(runs)})")
            waiting = elsewhere
            if waiting:
                on_progress(1 - left / whole, f"{kind}: another process does the last {len(waiting)}")
                time.sleep(ELSEWHERE_S)

    # -- what comes out

    def results(self) -> dict:
        """Return the results of all finished runs, including parts that were not requested."""
        out: dict = {"study": self._described()}
        if self._started("methods"):
            runs = [*self.runs_of("methods"), *self.runs_of("seeds")]
            out["methods"] = method_table(self.hospital, self.files, runs)
            out["teachers"] = teacher_table(self.hospital, self.files, self.runs_of("teachers"))
        if self._started("ablation"):
            out["ablation"] = ablation_table(self.hospital, self.files, self.runs_of("ablation"))
        if self._started("external"):
            out["external"] = external_table(self.outside, self.files, self.runs_of("external"))
        for name, levels in (("nodes", self.nodes), ("map", self.around)) if self._started("nodes") else ():
            begun = [level for level in levels if level.begun(self.files)]
            tables = {lv.arm.name: node_table(lv, self.files, lv.runs(self.files), self.preset.draws) for lv in begun}
            out[name] = tables
            if name == "nodes":
                runs = {lv.arm.name: [*lv.teacher_runs(), *lv.runs(self.files)] for lv in begun}
                named = {lv.arm.name: named_table(lv, self.files, runs[lv.arm.name]) for lv in begun}
                out["deciding"] = {arm: found for arm, found in named.items() if found is not None}
        return out

    def _started(self, part: str) -> bool:
        return any((self.output / "runs" / part).glob("*.npz"))

    def write(self) -> dict:
        """Write results.json, `tables/*.md` and `*.csv`, `figures/*`. Returns the results.

        Raises: FileMissing if no run of the study is finished.
        """
        if not any((self.output / "runs").glob("*/*.npz")):
            raise FileMissing("There is no finished run of a study in the folder given; check the path.")
        return self._draw(self._write_tables())

    def _write_tables(self) -> dict:
        results = self.results()
        write_text(self.output / "results.json", json.dumps(results, indent=1, default=_plain) + "\n")
        caption = caption_of(results)
        for name, (title, table) in tables_of(results).items():
            write_text(self.output / "tables" / f"{name}.md", f"## {title}\n\n{caption}\n\n{markdown(table)}\n")
            write_text(self.output / "tables" / f"{name}.csv", as_csv(table))
        return results

    def _draw(self, results: dict) -> dict:
        from REACTKDTrainLib.study.figures import draw_figures

        draw_figures(self, results, caption_of(results))
        return results

    def _described(self) -> dict:
        hospital = self._started("methods") or self._started("ablation")
        external = self._started("external")
        phantom = self.hospital.cohort.phantom if hospital or external else True
        nodes = {k: len(v) for k, v in self.nodes[0].cases.items()} if self._started("nodes") else None
        return {
            "format": FORMAT,
            "preset": self.preset.name,
            "meaningless": self.preset.meaningless,
            "digital_phantom": phantom,
            "cases": len(self.hospital.cohort.cases) if hospital else None,
            "on": "volumes" if self.preset.hospital_nodes is None else "node vectors",
            "folds": self.preset.training.folds,
            "size": self.preset.training.data.size,
            "seeds": self.preset.seeds,
            "nodes": nodes,
            "external": len(self.outside.cohort.cases) if external else None,
            "external_phantom": self.outside.cohort.phantom if external else None,
            "configuration": self.preset.training.to_dict(),
            "revision": revision(),
            "made": datetime.now(timezone.utc).date().isoformat(),
            "versions": versions(),
            "hardware": {
                "machine": platform.machine(),
                "threads": torch.get_num_threads(),
                "device": torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "CPU",
            },
        }


def caption_of(results: dict) -> str:
    """Return the description that every table and figure carries."""
    about = results["study"]
    parts = ["Digital phantom" if about["digital_phantom"] else "Cohort of patients", f"preset {about['preset']}"]
    if about["cases"] and any(results.get(part, {}).get("rows") for part in ("methods", "ablation")):
        rows = results.get("methods", {}).get("rows", {})
        seeds = plural(max((len(row.get("seeds", ())) for row in rows.values()), default=1) or 1, "seed")
        parts.append(
            f"{about['cases']} cases in {about['folds']} folds, {about['on']} of size {about['size']}, {seeds} of "
            "headline rows"
        )
    if about["nodes"]:
        own = about["nodes"]
        parts.append(f"node level: of each biology {own['pool']} phantoms to train on, {own['test']} to test on")
    if about.get("external_phantom") not in (None, about["digital_phantom"]):
        parts.append(
            "Table IV on digital phantoms" if about["external_phantom"] else "Table IV on a cohort of patients"
        )
    hardware = about["hardware"]
    parts.append(f"{hardware['device']} {hardware['machine']}, {plural(hardware['threads'], 'thread')}")
    text = "; ".join(parts) + "."
    return f"{text} **Sizes are tiny: the numbers mean nothing.**" if about["meaningless"] else text


def _plain(value):
    return value.item() if hasattr(value, "item") else str(value)
