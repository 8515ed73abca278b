"""A/B tests: a student beside what answers now, on a sample of traffic, looked at as it comes.

Here are the sample, what both answer to it, what that is worth, the looks and their record, and the
page. What belongs elsewhere: boundaries and tests (metrics/), traffic and feedback (monitor/), the
shadow whose answers are used (serve/).
"""
