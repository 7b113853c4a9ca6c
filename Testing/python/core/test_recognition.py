"""Which segments are taken for the liver and for tumors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from REACTKDLib.core.errors import AmbiguousSegment, EmptySegmentation, LabelMissing, NoLiver
from REACTKDLib.core.recognition import Candidate, Choice, choose, recognize_code, recognize_name

LIVER = """Liver|liver|LIVER|livers|whole liver|whole_liver|WholeLiver|liver.organ|Hepatic parenchyma|liver-parenchyma|
Liver (corrected)|liver_mask_v2|LiverMask|liver 1|Segmentation liver|liver minus tumor|liver without lesions|
Liver excluding the tumors|non-tumor liver|liver, normal tissue|Liver portal venous phase|liver_CT""".replace("\n", "")
TUMOR = """tumor|Tumor|TUMORS|tumour|Tumours|lesion|Lesion_1|lesion12|Mass|masses|HCC|HCC 3|hccs|neoplasm|
hepatocellular carcinoma|Liver tumor|liver_tumor|LiverTumor|liver lesion 2|hepatic lesions|liver mass|GTV|Nodule 4|
metastasis|Metastases|viable tumor|satellite nodule|necrosis|Tumor core|main lesion|tumor (edited)""".replace("\n", "")
NEITHER = """liver vessels|liver_vessels|hepatic vein|Hepatic artery|portal vein|Portal vein tumor thrombus|liver cyst|
hemangioma|kidney tumor|Lung nodule|adrenal mass|spleen lesion|peritumoral rim|tumor margin|tumor bed|liver capsule|
ablation zone|abdominal aorta|Segment_1|Background|no tumor|without lesion|massive|body mass|Mass effect|gallbladder|
Hepatic|tumor vessels|bile duct|liver bounding box|délivery|slivered|hccx""".replace("\n", "")


@pytest.mark.parametrize("name", LIVER.split("|"))
def test_liver(name):
    assert recognize_name(name) == "liver"


@pytest.mark.parametrize("name", TUMOR.split("|"))
def test_tumor(name):
    assert recognize_name(name) == "tumor"


@pytest.mark.parametrize("name", [*NEITHER.split("|"), "", " ", "1", "肝臓"])
def test_neither(name):
    assert recognize_name(name) is None


@given(st.text(max_size=40))
def test_any_name_is_answered(name):
    assert recognize_name(name) in ("liver", "tumor", None)


@given(st.sampled_from(LIVER.split("|") + TUMOR.split("|")), st.sampled_from(["upper", "lower", "title"]))
def test_case_and_separators_do_not_matter(name, change):
    plain = "".join(c if c.isalnum() else " " for c in name)
    if not any(a.islower() and b.isupper() for a, b in zip(plain, plain[1:])):  # camel case lives from its capitals
        assert recognize_name(getattr(plain, change)().replace(" ", "_")) == recognize_name(name)


@pytest.mark.parametrize(
    ("type_code", "region", "kind", "open_"),
    [
        (("SCT", "10200004"), ("", ""), "liver", False),
        (("SRT", "T-62000"), ("", ""), "liver", False),
        (("SCT", "4147007"), ("SCT", "10200004"), "tumor", False),
        (("SCT", "4147007"), ("", ""), "tumor", False),
        (("SCT", "108369006"), ("SRT", "T-62000"), "tumor", False),
        (("SCT", "4147007"), ("SCT", "64033007"), None, False),  # a mass in the kidney
        (("SCT", "78961009"), ("", ""), None, False),  # spleen
        (("SCT", "85756007"), ("", ""), None, True),  # tissue: Slicer's tag of a new segment
        (("", ""), ("", ""), None, True),
    ],
)
def test_codes(type_code, region, kind, open_):
    verdict = recognize_code(type_code, region)
    assert (verdict.kind, verdict.says_nothing) == (kind, open_)


def named(*names: str) -> list[Candidate]:
    return [Candidate(str(n), name) for n, name in enumerate(names, start=1)]


def numbered(*labels: int) -> list[Candidate]:
    return [Candidate(str(label), f"label {label}") for label in labels]


@pytest.mark.parametrize(
    ("candidates", "liver", "tumor", "expected"),
    [
        (named("Liver", "Tumor"), None, None, Choice((0,), (1,))),
        (named("Liver", "Lesion_1", "Lesion_2", "Aorta"), None, None, Choice((0,), (1, 2))),
        (named("Liver"), None, None, Choice((0,), ())),
        (named("A", "B"), ["A"], ["B"], Choice((0,), (1,))),
        (named("A", "B"), ["a"], [], Choice((0,), ())),
        (named("Liver", "Mass", "Mass 2"), None, ["Mass 2"], Choice((0,), (2,))),
        (named("Liver", "Whole_liver_v2", "HCC"), None, None, Choice((0,), (2,))),
        (named("Left lobe of liver", "Right lobe of liver"), None, None, Choice((0, 1), ())),
        (named("Liver", "left lobe of liver"), None, None, Choice((0,), ())),
        (numbered(1, 2), None, None, Choice((0,), (1,), True)),
        (numbered(1), None, None, Choice((0,), (), True)),
        (numbered(1, 2), ["1"], ["2"], Choice((0,), (1,), False)),
        (numbered(4, 5, 12), ["5"], None, Choice((1,), ())),
        (numbered(4, 5, 12), ["5"], ["4", "12"], Choice((1,), (0, 2))),
    ],
)  # fmt: skip
def test_choice(candidates, liver, tumor, expected):
    assert choose(candidates, liver, tumor) == expected


def test_code_wins_over_name():
    candidates = [
        Candidate("1", "Segment_1", ("SCT", "10200004")),
        Candidate("2", "Liver", ("SCT", "78961009")),
        Candidate("3", "Segment_3", ("SCT", "4147007"), ("SCT", "10200004")),
    ]
    assert choose(candidates, None, None) == Choice((0,), (2,))


@pytest.mark.parametrize(
    ("candidates", "liver", "tumor", "error", "words"),
    [
        ([], None, None, EmptySegmentation, "empty"),
        (named("Spleen", "Aorta"), None, None, NoLiver, "'Spleen', 'Aorta'"),
        (numbered(3, 4), None, None, NoLiver, "'label 3', 'label 4'"),
        (named("Liver segment 4", "Tumor"), None, None, NoLiver, "Liver segment 4"),
        (named("Liver", "Tumor"), ["Leber"], None, LabelMissing, "no segment 'Leber'.*'Liver', 'Tumor'"),
        (named("Liver", "Tumor"), None, ["7"], LabelMissing, "no segment '7'"),
        (named("whole liver", "liver corrected"), None, None, AmbiguousSegment, "whole liver.*liver corrected"),
        (named("Liver", "Liver"), ["Liver"], None, AmbiguousSegment, "rename"),
        (named(*(f"Organ {n}" for n in range(40))), None, None, NoLiver, "28 more"),
    ],
)
def test_refusals_list_what_is_there(candidates, liver, tumor, error, words):
    with pytest.raises(error, match=words):
        choose(candidates, liver, tumor)
