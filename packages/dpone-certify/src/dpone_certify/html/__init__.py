"""Reports for people: single files that load nothing, made of text nodes, under a policy that allows nothing else."""
