"""What the page draws, as plotly.js takes it: one module a family of plots, pure functions."""
