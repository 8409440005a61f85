#include "source/sqlite/child.h"

void child_observe(const struct child_job *job, struct done_report *report)
{
    (void)job;
    report_failure(report, OUTCOME_FAILED, "not built yet");
}
void child_look(const struct child_job *job, struct done_report *report)
{
    (void)job;
    report_failure(report, OUTCOME_FAILED, "not built yet");
}
void child_apply(const struct child_job *job, struct done_report *report)
{
    (void)job;
    report_failure(report, OUTCOME_FAILED, "not built yet");
}
