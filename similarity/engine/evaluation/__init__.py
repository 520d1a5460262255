"""How good embedders and detectors are: figures by their published definitions, and a report.

Pure functions over arrays and lists of detections, cheap enough for the end of each epoch of a
training. Only `report` makes text of them; nothing here reads the disk.
"""
