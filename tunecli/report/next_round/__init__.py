"""The study file of the next round, with the changes that the findings suggest."""
