"""How annotations are checked in the tests: by beartype, an int standing for a float as PEP 484 has it."""

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
