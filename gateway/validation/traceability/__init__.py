"""From a requirement to the tests that prove it, and to their last result.

Three sources, each in one place: docs/validation/urs.md (what is required, its risk, where it is designed, whether it is built), the marks
`@pytest.mark.urs(...)` of the tests (what proves it), docs/validation/proofs.csv (which of these tests a high-risk requirement stands on,
and what each shows). The results of a test run come from the run itself. An installation has all of it in one file, `release.json`, which
is made with the release from a run over the released files.

Beside it, what a change asks for: `imports` says what each file of tests reaches, `snapshot` what a release is made of; `states` reads two
of them, and `changes` says what has to be shown again.
Nothing here runs a test, and nothing counts a test that did not run.
"""
