"""SCALE-Sim: its topologies, layers without numbers, as traces."""

from addersim.frontends.scalesim.topology import Topology, TopologyLayer, load_topology, topology_trace

__all__ = ["Topology", "TopologyLayer", "load_topology", "topology_trace"]
