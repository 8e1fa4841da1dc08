"""Bound methods: functions `(graph, region, spec, arithmetic) -> Bounds`."""
