"""The trail's file: written so that equal ledgers give equal bytes, and read so that no file can harm its reader."""
