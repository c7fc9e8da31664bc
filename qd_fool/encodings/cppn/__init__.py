"""Pictures drawn by evolved graphs of functions (CPPNs), and why the code is as it is.

A genome is a graph. Its inputs are a pixel's column, row and distance from the centre, and a
constant. Each further node applies a function to a weighted sum. The last nodes give gray, or hue,
lightness and saturation. Evaluated at every pixel, the graph draws a picture. Evolution changes
weights and functions, and adds and removes nodes and edges.

The original is a pointer graph in C++, evaluated pixel by pixel in float64. Here a whole population
has to be varied, drawn and differentiated inside one compiled JAX program, on CPUs and
accelerators, and the bytes of a picture have to be those that the original would draw. Each module
solves one part of that:

- `graph`: XLA wants arrays of fixed shape, and graphs grow. So a genome has a capacity, and a
  mutation that would exceed this capacity is skipped and counted. Nodes are numbered so that every
  edge leads from a lower to a higher number, and edges are sorted by target. With this order, one
  pass over the edges evaluates a graph, one pass backwards finds ancestors, and no cycle can arise.
- `mutation` and `crossover`: every graph of a batch takes the same steps, in the original's order,
  with masks where a graph has no such change. To add a node or an edge is to write a free place and
  to sort again: one sort of integers is faster than any shifting. All random words are drawn
  beforehand from one key per individual, so that offspring do not depend on how a batch is split.
- `drawing`: before a graph is drawn it is written as a *tape*, the list of the edges that an output
  depends on, in order. Playing the tape adds one edge after the other to a running sum. A CPU plays
  one picture after the other, a tile of pixels at a time, because a branch per edge costs little
  there and a tile of all nodes fits into the cache; this is 3-16 times faster than the whole batch
  in step. Accelerators play the batch in step. Both ways do the same arithmetic in the same order.
- `activations`: a byte is `trunc(255 |v|)`, so 255 is reached only where v is exactly 1. Float32
  rounds to 1 too early. Each function therefore stays below 1 until float64 would be 1 as well.
  Sine has code of its own, since pixel columns as raw numbers lead to arguments of thousands.
- `gradient`: ascent and the gradient emitter move a graph's weights. JAX cannot differentiate the
  tape's loop, whose length is dynamic, so the backward pass is written by hand: play the tape
  again, keep the slope of each node, and go back edge by edge.
- `encoding` puts the parts together, `settings` has the numbers that a user may choose, and
  `graph_json` writes a graph as values that people can read, and reads it back.

Comments that name XLA say where a plainer form of the code was measured to be slower. The
tests compare every module with a slow, plain walker over graphs (`tests/oracles/cppn_walker.py`).
"""
