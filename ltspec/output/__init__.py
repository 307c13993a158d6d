"""The only code that prints. Everywhere else text is data.

`plain` needs nothing but the interpreter and is what a pipe gets; `tables` and `live` load rich and
are for a terminal; `records` is the documented JSON form. Text that came from a task, a file name
or the catalogue passes through `plain.safe` before it reaches a terminal.
"""
