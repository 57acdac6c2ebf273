"""Folders of pictures, and torchvision's sets, as data sets."""
