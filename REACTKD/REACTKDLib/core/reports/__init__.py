"""The grade report and its forms: JSON, CSV, HTML, DICOM SR and SEG."""
