"""Which segments are recognized as liver and as tumor."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from REACTKDLib.core.errors import AmbiguousSegment, EmptySegmentation, LabelMissing, NoLiver
from REACTKDLib.core.files.liver_parts import part_of_liver
from REACTKDLib.core.files.recognition import Candidate, Choice, choose, recognize_code, recognize_name
from REACTKDLib.core.files.segment_names import drawn_twice

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
def test_liver_names_are_recognized(name):
    assert recognize_name(name) == "liver"


@pytest.mark.parametrize("name", TUMOR.split("|"))
def test_tumor_names_are_recognized(name):
    assert recognize_name(name) == "tumor"


# Names with other scripts, or with a sign that subtracts the tumor or joins it to the liver.
MORE = ("肾 tumor", "tumor почки", "신장 mass", "όγκος νεφρού mass", "Liver 血管", "tumør", "tu\u0336mor",
        "Liver − Tumor",
        "Liver ∖ Tumor", "¬tumor", "~tumor", "Liver - Tumor", "Liver – Tumor", "Liver \\ Tumor", "Liver\\Tumor",
        "liver w/ tumor",
        "Liver+Tumor", "Liver & Tumor", "Liver and tumor", "Liver/Tumor", "Liver-Tumor", "liver w o tumor",
        "Liver | Tumor",
        "parenchyma - tumor", "Liver ex tumor", "liver with tumour")  # fmt: skip


@pytest.mark.parametrize("name", [*NEITHER.split("|"), "", " ", "1", "肝臓", *MORE])
def test_other_names_are_not_recognized(name):
    assert recognize_name(name) is None


@given(st.text(max_size=40))
def test_any_text_is_classified(name):
    assert recognize_name(name) in ("liver", "tumor", None)
    part_of_liver(name), drawn_twice([name, "Tumor"])


@given(
    st.characters(categories=["L", "N"], min_codepoint=0x370),
    st.sampled_from(["{0}Tumor", "tumor {0}", "Liver {0}{0}"]),
)
def test_letters_of_other_scripts_are_kept(letter, pattern):
    bare = "".join(c for c in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(c))
    if not bare.isascii():  # a Latin letter with a ring below is still a Latin letter
        assert recognize_name(pattern.format(letter)) is None


@pytest.mark.parametrize(
    "name", ["liver w/o tumor", "Liver wo tumor", "liver_w/o_lesions", "Liver w/out tumors", "liver (w.o. tumor)"]
)
def test_names_of_a_liver_without_tumor_are_recognized_as_liver(name):
    assert recognize_name(name) == "liver"


@pytest.mark.parametrize(
    "name",
    ["Lésion 2", "Ｔｕｍｏｒ", "Tumor\u200b", "Tumor ②", "Tumor (liver)", "Liver: tumor", "Neoplasm, liver",
    "HCC - liver", "Tumor - S5",
     "Segmentation - Tumor", "Necrosis and viable tumor", "HCC segment VIII", "lesion S4a", "Tumor seg IVa",
     "tumor_nnU-Net",
     "Tumor_pred", "Tumor (gt)"],
)  # fmt: skip
def test_common_spellings_of_tumors_are_recognized(name):
    assert recognize_name(name) == "tumor"


@given(st.sampled_from(LIVER.split("|") + TUMOR.split("|")), st.sampled_from(["upper", "lower", "title"]))
def test_case_and_separators_do_not_matter(name, change):
    plain = "".join(c if c.isalnum() else " " for c in name)
    if not any(a.islower() and b.isupper() for a, b in zip(plain, plain[1:])):  # camel case needs its capitals
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
def test_segment_codes_are_recognized(type_code, region, kind, open_):
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
        (numbered(1, 2), ["2"], ["1"], Choice((1,), (0,), False)),
        (numbered(1, 2), ["1", "2"], ["2"], Choice((0, 1), (1,), False)),
        (numbered(1, 2), ["1"], None, Choice((0,), (1,), True)),
        (numbered(1, 2), None, ["2"], Choice((0,), (1,), True)),
        (numbered(1, 2), None, [], Choice((0,), (), True)),
        (numbered(4, 5, 12), ["5"], None, Choice((1,), ())),
        (numbered(4, 5, 12), ["5"], ["4", "12"], Choice((1,), (0, 2))),
    ],
)  # fmt: skip
def test_segments_are_chosen_by_name_number_or_recognition(candidates, liver, tumor, expected):
    assert choose(candidates, liver, tumor) == expected


ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII")
CODES = dict(
    zip(ROMAN, ("71133005", "277956007", "277957003", "277958008", "277959000", "277960005", "277961009", "277962002"))
)
PARTS = {
    "total-segmentator": [f"liver_segment_{n}" for n in range(1, 9)],
    "roman": [f"Liver segment {r}" for r in ROMAN],
    "bare-roman": list(ROMAN),
    "s": [f"S{n}" for n in range(1, 9)],
    "couinaud": [f"Couinaud {r}" for r in ROMAN],
    "halves": ["S1", "S2", "S3", "S4a", "S4b", "S5", "S6", "S7", "S8"],
    "roman-halves": ["I", "II", "III", "IVa", "IVb", "V", "VI", "VII", "VIII"],
    "joined": [f"LiverSeg{r}" for r in ROMAN],
    "predicted": [f"liver_nnunet_segment_{n}" for n in range(1, 9)],
    "without-tumor": [f"liver segment {n} minus tumor" for n in range(1, 9)],
    "lobes": ["Left lobe", "Right lobe", "Caudate lobe"],
    "lobes-of-liver": ["liver_left", "liver_right"],
    "sections": ["Left lateral section of liver", "Left medial section of liver", "Right anterior section of liver",
                 "Right posterior section of liver", "Caudate lobe of liver"],
    "mixed": ["Left lobe of liver", *(f"Liver segment {r}" for r in ROMAN[4:])],
}  # fmt: skip


@pytest.mark.parametrize("names", PARTS.values(), ids=PARTS)
def test_all_liver_parts_together_are_the_liver_and_fewer_are_refused(names):
    candidates = named("Aorta", *names, "HCC")
    assert choose(candidates, None, None) == Choice(tuple(range(1, len(names) + 1)), (len(names) + 1,))
    for left_out in names:
        fewer = [name for name in names if name != left_out]
        if left_out == "Caudate lobe":  # the caudate lobe may be part of either lobe
            assert choose(named(*fewer, "HCC"), None, None).livers == (0, 1)
            continue
        with pytest.raises(NoLiver):
            choose(named(*fewer, "HCC"), None, None)
    with_whole = named(*names, "Liver", "HCC")
    assert choose(with_whole, None, None).livers == (len(names),)


@pytest.mark.parametrize("tagged", ["type", "region", "liver"])
def test_coded_parts_of_the_liver(tagged):
    def candidate(n: int, roman: str) -> Candidate:
        code = ("SCT", CODES[roman])
        return {
            "type": Candidate(str(n), f"Segment_{n}", code),
            "region": Candidate(str(n), f"Segment_{n}", ("SCT", "123037004"), code),
            "liver": Candidate(str(n), f"Segment {roman}", ("SCT", "10200004")),
        }[tagged]

    parts = [candidate(n, roman) for n, roman in enumerate(ROMAN)]
    tumor = Candidate("9", "x", ("SCT", "4147007"), ("SCT", CODES["V"]))  # a mass in segment V
    assert choose([*parts, tumor], None, None) == Choice(tuple(range(8)), (8,))
    with pytest.raises(NoLiver, match=r"without the segments 1, 2, 3, 4, 6, 7, 8"):
        choose([parts[4], tumor], None, None)
    with pytest.raises(NoLiver, match=r"without the segments 5;"):
        choose([*parts[:4], *parts[5:], tumor], None, None)


@pytest.mark.parametrize(
    "name",
    ["Liver V", "Liver segment V", "Liver_seg_1", "liver S8", "liver segment 12", "liver IVa", "Liver segments V-VIII"],
)
def test_a_single_liver_part_is_never_the_liver(name):
    with pytest.raises(NoLiver):
        choose(named(name, "Tumor"), None, None)


def test_default_segment_names_and_numbered_labels_are_not_liver_parts():
    for names in ([f"Segment_{n}" for n in range(1, 9)], [f"label {n}" for n in range(1, 9)], list("12345678")):
        with pytest.raises(NoLiver):
            choose(named(*names, "Tumor"), None, None)


@pytest.mark.parametrize(
    "names",
    [("Tumor", "tumor_nnunet"), ("Tumor", "tumor (auto)"), ("Tumor", "Tumor_pred"), ("HCC", "lesion prediction"),
    ("tumor gt", "tumor ai"),
     ("tumor_nnU-Net", "tumor MONAI"), ("Tumor", "Tumor manual"), ("tumor reader 1", "tumor reader 2"), ("Tumor",
     "Tumor copy"),
     ("Tumor v1", "liver tumor v2"), ("Lesion 1", "Lesion 1 (corrected)"), ("Lesion 1", "Lesion 2", "Lesion 2 auto")],
)  # fmt: skip
def test_a_tumor_drawn_twice_is_refused_as_ambiguous(names):
    candidates = named("Liver", *names)
    with pytest.raises(AmbiguousSegment, match="drawn twice"):
        choose(candidates, None, None)
    assert choose(candidates, None, [names[1]]) == Choice((0,), (2,))
    coded = [Candidate(c.key, c.name, ("SCT", "4147007")) for c in candidates[1:]]
    with pytest.raises(AmbiguousSegment, match="drawn twice"):
        choose([candidates[0], *coded], None, None)


@pytest.mark.parametrize(
    "names",
    [("HCC", "lesion", "nodule", "metastasis"), ("Tumor 1", "Tumor 2"), ("Tumor", "Tumor 2"), ("Tumor", "Tumor"),
    ("Tumor core", "necrosis"),
     ("Lesion 1 (corrected)", "Lesion 2"), ("Tumor A", "Tumor B"), ("tumor_nnunet_1", "tumor_nnunet_2"), ("Tumor IV",
     "Tumor V"),
     ("Lesion 1 final", "Lesion 2 final"), ("Tumor manual", "HCC S5")],
)  # fmt: skip
def test_several_tumors_are_all_graded(names):
    assert choose(named("Liver", *names), None, None) == Choice((0,), tuple(range(1, len(names) + 1)))


@pytest.mark.parametrize("name", ["Liver-Tumor", "Liver - Tumor", "Liver \\ Tumor", "liver/lesions", "Liver and tumor"])
def test_an_ambiguous_name_is_refused(name):
    with pytest.raises(AmbiguousSegment, match="without it or with it"):
        choose(named("Liver", name), None, None)
    assert choose(named("Liver", "Tumor", name), None, None) == Choice((0,), (1,))
    assert choose(named("Liver", name), None, [name]) == Choice((0,), (1,))


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
        (named("2", "1"), ["2"], ["1"], AmbiguousSegment, "'2' is the name of a segment and the label of '1'"),
        (named("Liver", "1"), ["1"], None, AmbiguousSegment, "'1' is the name of a segment and the label of 'Liver'"),
        (numbered(1, 2), ["2"], None, AmbiguousSegment, "2 was named as the liver, .*name the tumor too .--tumor"),
        (numbered(1, 2), ["1", "2"], None, AmbiguousSegment, "name the tumor too"),
        (numbered(1, 2), None, ["1"], AmbiguousSegment, "1 was named as the tumor, .*name the liver too .--liver"),
        (numbered(1), None, ["1"], AmbiguousSegment, "name the liver too"),
        (named(*(f"Organ {n}" for n in range(40))), None, None, NoLiver, "28 more"),
    ],
)
def test_refusals_list_the_segments_of_the_file(candidates, liver, tumor, error, words):
    with pytest.raises(error, match=words):
        choose(candidates, liver, tumor)


def test_a_number_that_is_both_name_and_label_selects_that_segment():
    assert choose(named("1", "2"), ["2"], ["1"]) == Choice((1,), (0,))
