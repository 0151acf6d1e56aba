"""The storm's client processes. Each works on jobs until the storm is over, and records before it acts."""
