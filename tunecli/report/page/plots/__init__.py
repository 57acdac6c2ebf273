"""The plots of the page as plotly.js reads them: pure functions, one module per kind of plot."""
