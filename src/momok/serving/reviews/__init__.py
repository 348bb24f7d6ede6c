"""Decisions of people on predicted facts: kept in a database, shared by several reviewers."""
