"""Reading and writing of images, segmentations and tables; recognition of the liver and tumor segments."""
