"""beartype for jaxtyping's import hook, once per signature.

Functions inside of functions are decorated again whenever the outer one is called, which for JAX is
at each trace. What jaxtyping hands over is an empty function with their signature.
"""

from beartype import beartype

CHECKED = {}


def check(function):
    """Check calls of an empty function; two of the same signature share what beartype makes."""
    code = function.__code__
    signature = (
        *(function.__module__, function.__qualname__),
        *(code.co_code, code.co_varnames, code.co_argcount, code.co_kwonlyargcount),
        *(function.__defaults__ or (), *(function.__kwdefaults__ or {}).items()),
        *function.__annotations__.items(),
    )
    try:
        known = signature in CHECKED
    except TypeError:  # an annotation or a default has no hash
        return beartype(function)
    if not known:
        CHECKED[signature] = beartype(function)
    return CHECKED[signature]
