"""What dashboards show: one board of the installation, its history, and the page of one chord.

The monitor posts boards in the store; Streamlit and Flower read them. Where no monitor runs, a dashboard takes looks
of its own. Nothing here draws.
"""
