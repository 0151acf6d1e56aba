"""The storm's client processes, which work on jobs until the storm ends, and record before they act."""
