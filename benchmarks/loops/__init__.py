"""The loops to beat: what a careful programmer writes by hand for the same work and guarantee."""
