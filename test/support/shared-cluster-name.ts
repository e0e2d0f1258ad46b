/** The variable by which test/run.ts tells test files the cluster that they share. */
export const SHARED_CLUSTER = 'MERIDIAN_TEST_CASSANDRA'
