"""One small file a command: `add_arguments(parser)`, `run(args) -> exit code`, EXAMPLES.

`table` names them without loading them, `arguments` is their common parser, `session` what they
share of the installation (configuration, catalogue, supervisor). Commands do not call each other.
"""
