"""Our own pages of the boards, for where no Grafana is: rendered here, from the same boards and signals."""
