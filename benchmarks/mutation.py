"""The faults that `mutants.py` puts into the core, and how they are chosen.

The parts are lists of definitions, which are found by name anywhere in the package, so that the
same list serves a checkout whose modules have moved. The choice within a definition depends on the
text of each expression and not on its place: an expression that is the same in two checkouts has
the same rank in both.
"""

import ast
import collections
import copy
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

SEED = 17
EACH = 10
TELLING = 12
PACKAGE, TESTS = "qd_fool", "tests"


class Part(NamedTuple):
    """Definitions, and patterns of their test files, the most specific first.

    A definition may have several names, "new|old", of which the first that exists counts. A word
    after `~` must occur in its source, where a name exists twice. A definition gets as many
    mutants as it has entries, and one more of each where a part has fewer than ten.
    """

    definitions: str
    tests: str


PARTS = {
    "archive": Part(
        "empty_archive competing_fitness competing_fitness shortlist insert insert insert "
        "statistics~median_confidence statistics~median_confidence statistics~median_confidence",
        "test_archive.py test_map_elites*.py map_elites/test_*.py test_seeds.py",
    ),
    "map_elites": Part(
        "_individual_keys ask~EvolutionState ask~EvolutionState _emitter_of_chunk _rank "
        "tell~EvolutionState step~log_offspring step~log_offspring step~log_offspring "
        "generations_for offspring_of counted_evaluations segment_lengths",
        "test_map_elites*.py map_elites/test_*.py test_emitters.py emitters/test_*.py "
        "test_genome_log.py runs/test_genomes.py test_seeds.py",
    ),
    "scoring": Part(
        "log_odds_from_logits log_odds_from_logits log_odds_from_logits mean_confidence_log_odds "
        "check_crops check_crops crop_places crop_places crop log_odds_and_layer|log_odds",
        "test_kernel.py scoring/test_log_odds.py models/test_joint.py scoring/test_*.py",
    ),
    "variation": Part(
        "polynomial_step polynomial_step mutation_threshold mutate mutate sbx sbx sbx "
        "as_threshold pick~words unit happens",
        "encodings/test_variation.py encodings/test_direct.py encodings/test_randomness.py "
        "encodings/test_contract.py",
    ),
    "direct and colour": Part(
        "_from_unit direct direct direct nearest_byte bytes_to_pixels bytes_to_pixels "
        "floats_to_pixels _hue_weights resolve_color _interleave _to_unit",
        "encodings/test_direct.py encodings/test_color.py encodings/test_contract.py",
    ),
    "drawing": Part(
        "write_tapes write_tapes write_tapes _one_by_one~fori_loop tiles_of _in_step~fori_loop "
        "with_ancestors~edge_count with_ancestors~edge_count sort_edges hidden_mask edge_count",
        "encodings/test_graph_render.py encodings/test_graph.py encodings/test_graph*.py "
        "encodings/test_cppn.py encodings/test_activations.py "
        "encodings/cppn/test_drawing.py encodings/cppn/test_graph.py encodings/cppn/test_*.py",
    ),
    "graph mutation": Part(
        "_mutate_weights _mutate_activations _add_edge _add_edge _delete_edge _add_node _add_node "
        "_delete_node _append_edge _drop_edges _nth random_weight zoom_graphs",
        "encodings/test_graph_mutation.py encodings/test_graph*.py encodings/cppn/test_mutation.py "
        "encodings/test_cppn.py encodings/test_activations.py "
        "encodings/cppn/test_*.py",
    ),
    "emitters and devices": Part(
        "variation~occupied variation~occupied variation~occupied gradient~ceiling "
        "gradient~ceiling gradient~ceiling chunk_emitters map_chunks all_gather_packed _from_bytes",
        "test_emitters.py emitters/test_*.py test_collectives.py devices/test_*.py test_kernel.py "
        "test_gradients.py scoring/test_log_odds.py scoring/test_*.py test_map_elites*.py "
        "map_elites/test_*.py test_seeds.py",
    ),
    "ascent": Part(
        "progress~late blur gaussian zero_low_benefit step~best_merit step~best_merit "
        "step~best_merit block_size to_climb read_objective decay zero_small_norms _below "
        "occurrences join_results",
        "test_ascent_rules.py ascent/test_rules.py test_ascent.py ascent/test_*.py",
    ),
    "judge and runs": Part(
        "median_interval mann_whitney pair_counts fools_both fools_all events_of metric_rows "
        "truncate_metrics prune winners_of confidence_of rows_of_ids",
        "test_statistics.py test_transfer.py judge/test_*.py test_runs.py runs/test_*.py "
        "test_genome_log.py test_archive_files.py test_checkpoints.py report/test_lineage.py "
        "report/test_holders.py",
    ),
}

SWAPS: dict[type, dict[str, type]] = {
    ast.Lt: {"boundary": ast.LtE, "opposite": ast.Gt},
    ast.LtE: {"boundary": ast.Lt, "opposite": ast.GtE},
    ast.Gt: {"boundary": ast.GtE, "opposite": ast.Lt},
    ast.GtE: {"boundary": ast.Gt, "opposite": ast.LtE},
    ast.Eq: {"opposite": ast.NotEq},
    ast.NotEq: {"opposite": ast.Eq},
    ast.Is: {"opposite": ast.IsNot},
    ast.IsNot: {"opposite": ast.Is},
    ast.Add: {"operator": ast.Sub},
    ast.Sub: {"operator": ast.Add},
    ast.Mult: {"operator": ast.Div},
    ast.Div: {"operator": ast.Mult},
    ast.FloorDiv: {"operator": ast.Mult},
    ast.Mod: {"operator": ast.FloorDiv},
    ast.BitAnd: {"operator": ast.BitOr},
    ast.BitOr: {"operator": ast.BitAnd},
    ast.LShift: {"operator": ast.RShift},
    ast.RShift: {"operator": ast.LShift},
    ast.And: {"operator": ast.Or},
    ast.Or: {"operator": ast.And},
}
CALLS = {"minimum": "maximum", "min": "max", "argmax": "argmin", "any": "all", "nanmin": "nanmax",
         "zeros": "ones", "zeros_like": "ones_like", "ceil": "floor", "round": "floor"}  # fmt: skip
CALLS |= {new: old for old, new in CALLS.items() if old != "round"}
# Arguments whose change is no fault, or one that cannot even run.
UNTOUCHED = {"dtype", "fill_value", "size", "strict", "check_vma", "axis", "keepdims", "tiled",
             "batch", "rng", "mode", "newline", "encoding", "initial"}  # fmt: skip


class Mutant(NamedTuple):
    """One fault: a name without file and line, the new text, and which expression it replaces."""

    name: str
    new: str
    path: str
    node: Any
    rank: str


def changes(node: ast.AST) -> Iterator[tuple[str, Any]]:
    """Faults that one expression can have: a kind, and the expression with the fault."""

    def replaced(**fields: Any) -> Any:
        new = copy.copy(node)
        for name, value in fields.items():
            setattr(new, name, value)
        return new

    match node:
        case ast.Compare(ops=[op]):
            for kind, swap in SWAPS.get(type(op), {}).items():
                yield kind, replaced(ops=[swap()])
        case ast.BinOp(op=op) | ast.BoolOp(op=op) | ast.AugAssign(op=op):
            for kind, swap in SWAPS.get(type(op), {}).items():
                yield kind, replaced(op=swap())
        case ast.UnaryOp(op=ast.Not() | ast.Invert() | ast.USub(), operand=operand):
            yield "dropped", operand
        case ast.Constant(value=bool(value)):
            yield "constant", ast.Constant(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield "constant + 1", ast.Constant(value + 1)
            if value > 0:
                yield "constant - 1", ast.Constant(value - 1)
        case ast.IfExp(body=body):
            yield "first branch", body
        case ast.Call(func=ast.Attribute(attr="where"), args=[_, first, second]):
            yield "first branch", first
            yield "second branch", second
        case ast.Call(func=ast.Attribute(attr="clip"), args=[first, *_]):
            yield "dropped", first
        case ast.Call(func=ast.Attribute(value=value, attr=name)) if name in CALLS:
            yield "function", replaced(func=ast.Attribute(value, CALLS[name], ast.Load()))
        case ast.Call(func=ast.Name(id=name)) if name in CALLS:
            yield "function", replaced(func=ast.Name(CALLS[name], ast.Load()))


def expressions(node: ast.AST, context: str = "") -> Iterator[tuple[ast.AST, str]]:
    """Expressions below a node that may be mutated: no docstrings, messages or defaults.

    Each comes with the text of the smallest expression around it that is long enough to be
    recognised.
    """
    if isinstance(node, ast.expr) and len(ast.unparse(node)) >= TELLING:
        context = ast.unparse(node)
    match node:
        case ast.Raise() | ast.Assert() | ast.JoinedStr() | ast.Expr(value=ast.Constant()):
            return
        case ast.Call(func=ast.Attribute(value=ast.Name(id="chex" | "logging"))):
            return
        case ast.keyword(arg=name) if name in UNTOUCHED:
            return
        case ast.FunctionDef() | ast.ClassDef():
            inside: list[ast.AST] = list(node.body)
        case ast.AnnAssign():
            inside = [node.value] if node.value else []
        case ast.Lambda():
            inside = [node.body]
        case _:
            inside = list(ast.iter_child_nodes(node))
            yield node, context
    for child in inside:
        yield from expressions(child, context)


def find(checkout: Path, wanted: str) -> tuple[str, ast.AST] | None:
    """The file and the syntax tree of a definition; None where the package has none."""
    names, _, word = wanted.partition("~")
    for name in names.split("|"):
        found = []
        for path in sorted((checkout / PACKAGE).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_bytes())):
                right = isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name
                if right and word in ast.unparse(node):
                    # A definition inside another one comes after those of the module.
                    found.append((node.col_offset, str(path.relative_to(checkout)), node))
        if found:
            _, path, node = min(found, key=lambda f: f[:2])
            return path, node
    return None


def mutants_of(checkout: Path, wanted: str) -> list[Mutant]:
    """All mutants of a definition, in the order in which they are chosen."""
    found = find(checkout, wanted)
    if found is None:
        print(f"no definition {wanted}: others of its part get more mutants", file=sys.stderr)
        return []
    path, definition = found
    name = wanted.partition("~")[0].partition("|")[0]
    seen: collections.Counter[str] = collections.Counter()
    mutants = []
    for node, context in expressions(definition):
        for kind, new in changes(node):
            old_text, new_text = ast.unparse(node), ast.unparse(new)
            fault = f"{kind}: {old_text} -> {new_text}"
            if context not in ("", old_text):
                fault += f" in {context}"
            seen[fault] += 1
            fault += f" ({seen[fault]})" if seen[fault] > 1 else ""
            rank = hashlib.sha256(f"{SEED} {name} {fault}".encode()).hexdigest()
            mutants.append(Mutant(f"{name}: {fault}", new_text, path, node, rank))
    return sorted(mutants, key=lambda m: m.rank)


def choose(checkout: Path, part: Part) -> list[Mutant]:
    """The mutants of a part: each definition in its turn, and one mutant per expression."""
    entries = part.definitions.split()
    queues = {wanted: mutants_of(checkout, wanted) for wanted in dict.fromkeys(entries)}
    chosen: list[Mutant] = []
    used: set[int] = set()
    while len(chosen) < EACH and any(queues.values()):
        for queue in (queues[wanted] for wanted in entries):
            while queue and id(queue[0].node) in used:
                queue.pop(0)
            if queue and len(chosen) < EACH:
                used.add(id(queue[0].node))
                chosen.append(queue.pop(0))
    return chosen


def with_fault(source: bytes, mutant: Mutant) -> bytes:
    """The source of a module with the fault in it."""
    node, lines = mutant.node, source.splitlines(keepends=True)
    start = sum(map(len, lines[: node.lineno - 1])) + node.col_offset
    end = sum(map(len, lines[: node.end_lineno - 1])) + node.end_col_offset
    new = mutant.new if isinstance(node, ast.stmt) else f"({mutant.new})"
    faulty = source[:start] + new.encode() + source[end:]
    compile(faulty, mutant.path, "exec")
    return faulty
