"""On-premises LLM distillation as a Dagster asset graph.

Rooms, from what everything uses to what uses everything: errors, progress, offline; config;
storage; steps; corpus; metrics; models; soft_labels; lm; tasks; dataset; training; teacher and
student; quantize; evaluate; report; the Dagster folders; definitions; cli. `make lint` holds them
to it.
"""
