# SPDX-License-Identifier: Apache-2.0
"""Keeps the box's software up to date and takes back what does not work.

`version`, `policy`, `state` and `gate` decide and do no I/O; `service`, `keeper`, `look`, `spool`, `journal` and `usb`
do what they decided. docs/update.md tells the whole story.
"""
