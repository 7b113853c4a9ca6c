"""DICOM: series and segmentations as an archive gives them, SUV by the QIBA rules, and results as SR and SEG."""
