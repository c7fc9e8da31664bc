"""Programs that commands of the same settings share: traced and compiled once per process."""

import dataclasses
import functools

from qd_fool.encodings import Encoding
from qd_fool.models import Scorer


def shared(make):
    """A function that calls `make` once for all parts of a program that are the same.

    Every command loads its network and builds its encoding anew. Two networks are the same here if
    they have the same functions, facts and weights file. Networks on the host share nothing.
    """
    made = {}

    def call(*parts, **settings):
        if not isinstance(parts[0], Scorer):
            return make(*parts, **settings)
        key = tuple(map(facts_of, (*parts, *sorted(settings.items()))))
        try:
            known = key in made
        except TypeError:  # a part that has no hash
            return make(*parts, **settings)
        if not known:
            made[key] = make(*parts, **settings)
        return made[key]

    return call


def facts_of(part):
    """What a part contributes to a program."""
    if isinstance(part, Encoding):
        return part.name, part.settings, part.image_shape
    if isinstance(part, Scorer):
        names = [field.name for field in dataclasses.fields(part) if field.name != "params"]
        return tuple(facts_of(getattr(part, name)) for name in names)
    if isinstance(part, functools.partial):
        return part.func, *map(facts_of, part.args), *sorted(part.keywords.items())
    return part
