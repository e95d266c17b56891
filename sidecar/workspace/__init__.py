"""The one owner of files: paths, locks, writes, backups, watcher."""
