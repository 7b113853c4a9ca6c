"""The grade report and its formats: JSON, CSV, HTML, DICOM SR and SEG."""
