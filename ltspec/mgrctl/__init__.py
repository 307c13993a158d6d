"""The installed `mgrctl` command: LongTask's language, answered from the catalogue (LONGTASK.md).

`request` reads the command line, `functions` and `finish` answer, `answer` writes the document in
the format that was asked for. Every task calls it, so nothing heavy is imported: no argparse.
"""
