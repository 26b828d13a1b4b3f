"""The way to a public chain: Fabric's endorsements, put into the form that the bridge's contract takes."""
