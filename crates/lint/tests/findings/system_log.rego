package system.log

mask contains "/input/record/email" if input.input.record.email
