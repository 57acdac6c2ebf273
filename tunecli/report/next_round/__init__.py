"""The study file of the next round: what a study has shown, put into its file."""
