"""Verified self-play after the Absolute Zero Reasoner: a toy language, tasks about it, rewards, an exam, and the game.

`language` has the total interpreter, `tasks` the text of tasks and their judge, `rewards` what roles are paid,
`buffers` what was proposed, `answers` what the model writes, `proposers` who asks, `play` the warm-up and the game,
`exam` what it is all measured by.
"""
