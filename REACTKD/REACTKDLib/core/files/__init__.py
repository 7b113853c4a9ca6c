"""Reading and writing images, segmentations and tables; which segment is the liver and which a tumor."""
