select (select count(*) from {{ ref('best_customers') }}) as customers, (select count(*) from {{ ref('best_days') }}) as days
