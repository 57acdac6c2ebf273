"""Build the models a study file can name: tunecli's own, torchvision's classifiers, the user's.

The shape of one row and the number of outputs follow from the data and the loss; all other
arguments come from the study file. Initial weights come from torch's global random state.
torchvision is imported only when one of its models is built.
"""
