"""The integer privacy ledger: what each hospital's data sets have spent, over all rounds and studies."""
