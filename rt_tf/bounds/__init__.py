"""Bound methods: functions `(graph, region, spec, arithmetic) -> Bounds`, and their parts."""
