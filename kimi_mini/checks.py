"""One wording for bad input: what is wrong, and what would be right."""


def require(ok: bool, name: str, value: object, wanted: str) -> None:
    """Raise ValueError naming `name`, its `value` and what was `wanted`, unless `ok`."""
    if not ok:
        raise ValueError(f"{name} = {value!r} will not do; expected {wanted}")


def is_int(value: object, low: int) -> bool:
    """Whether `value` is an integer of at least `low`; True and False are not integers here."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= low


def is_number(value: object) -> bool:
    """Whether `value` is a number and not NaN; infinity is one, True is not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value
