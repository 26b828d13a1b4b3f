"""Transactions: their forms, who signed them, what they cost, when they are refused, what they do."""
