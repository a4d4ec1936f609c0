"""Lineage of a run after the fact: OpenLineage events made of its record, and the verdict on them."""
