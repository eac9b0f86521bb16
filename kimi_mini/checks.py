"""One wording for bad input: what is wrong, and what would be right."""


def require(ok: bool, name: str, value: object, wanted: str) -> None:
    """Raise ValueError naming `name`, its `value` and what was `wanted`, unless `ok`."""
    if not ok:
        raise ValueError(f"{name} = {value!r} will not do; expected {wanted}")
