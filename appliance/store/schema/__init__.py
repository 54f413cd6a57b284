# SPDX-License-Identifier: Apache-2.0
"""The steps of the schema, as NNNN_name.sql. A step that has shipped is never edited; a new one only adds."""
